"""The archive: years of fixes as ordinary Parquet files, day by day, that answer questions by themselves."""
