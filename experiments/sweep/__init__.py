"""Many runs by one command. Nothing here imports torch but ``check``, which is a process of its own."""
