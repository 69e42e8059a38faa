"""Pure functions of arrays and models, which serve a reader's own model as well."""
