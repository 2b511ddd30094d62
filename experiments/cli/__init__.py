"""The command line: arguments, help, error messages and the LightningCLI."""
