"""How an engine is talked to: by hand where every grading goes, elsewhere by the Docker client library."""
