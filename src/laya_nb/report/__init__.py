"""What chapters show: tables, figures, findings, and their parameters, checked."""
