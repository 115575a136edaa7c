"""Reports of one record: terminal summary, figures, HTML page, files."""
