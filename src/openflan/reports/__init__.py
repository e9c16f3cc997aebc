"""A finished run as tables and as one page: `gather` reads the folder, `tables` are pure, `html.write_report`
writes report.html."""
