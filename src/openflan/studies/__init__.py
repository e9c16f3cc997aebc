"""Grids of finetuning runs that answer a question, with directions stated before they run."""
