"""The analyst's calls: one data set in, a record with reports out."""
