"""Files from servers: requests that wait and try again, and downloads that are resumed and checked."""
