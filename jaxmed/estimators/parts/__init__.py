"""What the field's estimators share: rows, single-mediator legs, refits, the assembled answer."""
