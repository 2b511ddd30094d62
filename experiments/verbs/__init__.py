"""One module for each verb, with its parser and a function of its name."""
