"""One module for each verb, with its parser and, unless it is Lightning's, a function of its name."""
