"""What the authors of attentive layer fusion report for two small networks (arXiv 2601.09322).

From the tables in their repository (lciernik/attentive-layer-fusion, data/per_model_all_performances): one run, seed 0,
balanced accuracy on the test part.
"""

COLUMNS = ("cls_linear", "cls_ap_linear", "cls_ap_attentive", "concat_linear", "all_tokens", "fusion")
"""The probes by our names. The first column is accuracy in percent, the others are points gained over it."""

GAINS: dict[str, dict[str, tuple[float, ...]]] = {
    "DINOv2-S/14": {
        "CIFAR-10": (96.2, 0.0, 0.2, 0.6, 0.2, 0.6),
        "CIFAR-100": (83.4, 0.9, 1.8, 1.2, 1.2, 2.5),
        "Caltech-101": (96.1, -0.1, -0.6, -0.3, -0.4, -0.0),
        "Country-211": (16.3, 0.8, 1.2, 1.5, -1.7, 3.0),
        "DTD": (76.7, 1.5, 1.2, 2.0, 2.0, 3.4),
        "Diabetic Retinopathy": (47.5, 1.3, 1.9, 4.7, 1.4, 5.1),
        "Dmlab": (43.4, 2.5, 3.3, 6.4, 17.8, 9.2),
        "EuroSAT": (94.6, 1.4, 0.8, 3.0, 2.1, 3.4),
        "FER2013": (54.6, 1.8, 2.9, 5.4, 8.2, 10.5),
        "FGVC Aircraft": (66.8, -0.9, 1.4, -9.1, 6.0, 1.2),
        "Flowers": (99.5, -0.1, -0.1, -0.6, -0.1, -0.1),
        "GTSRB": (67.7, 2.8, 3.6, 9.4, 25.1, 14.2),
        "PASCAL VOC 2007": (87.9, 1.2, 1.1, 0.1, -0.6, 0.4),
        "PCAM": (83.2, 0.8, 0.9, 4.2, 5.4, 2.5),
        "Pets": (95.1, -0.8, -0.4, -3.0, -1.4, -0.2),
        "RESISC45": (89.3, 0.6, 1.8, 4.6, 4.6, 5.3),
        "STL-10": (99.1, 0.1, 0.1, 0.1, 0.1, 0.2),
        "SVHN": (54.0, 6.1, 7.0, 24.2, 34.4, 26.6),
        "Stanford Cars": (79.1, 0.9, 2.0, -4.9, 10.1, 5.3),
    },
    "ViT-S/16 (ImageNet)": {
        "CIFAR-10": (96.6, 0.2, -0.2, 0.3, 0.1, 0.5),
        "CIFAR-100": (84.7, 0.6, 0.9, 2.0, 0.7, 2.2),
        "Caltech-101": (94.8, 0.3, 0.7, 0.1, 0.4, 1.2),
        "Country-211": (15.5, 0.7, 0.3, 2.7, -2.8, 3.3),
        "DTD": (73.4, 2.1, 2.9, 3.6, 0.5, 4.0),
        "Diabetic Retinopathy": (45.8, 1.4, 2.2, 5.2, 0.7, 5.6),
        "Dmlab": (43.3, 1.6, 1.8, 6.6, 9.2, 7.3),
        "EuroSAT": (95.8, 0.6, 0.5, 2.3, 1.4, 2.5),
        "FER2013": (53.2, 0.6, 1.9, 7.7, 9.7, 11.8),
        "FGVC Aircraft": (42.3, 3.7, 3.3, 2.6, 7.1, 6.2),
        "Flowers": (99.3, 0.1, -0.1, -0.4, 0.1, -0.3),
        "GTSRB": (62.6, 5.2, 4.9, 12.0, 18.8, 15.2),
        "PASCAL VOC 2007": (87.7, 0.9, 0.5, 0.6, -2.1, 0.0),
        "PCAM": (83.5, 1.1, 1.5, 3.7, 3.7, 0.1),
        "Pets": (93.5, -0.4, -0.4, -2.0, -0.5, -0.6),
        "RESISC45": (88.6, 0.5, 1.7, 5.2, 3.2, 6.0),
        "STL-10": (99.3, -0.0, 0.0, -0.1, 0.0, -0.4),
        "SVHN": (48.6, 7.9, 8.9, 26.7, 29.5, 30.2),
        "Stanford Cars": (57.6, 1.3, 2.8, 3.2, 13.6, 9.3),
    },
}
