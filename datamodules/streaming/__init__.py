"""What data larger than memory are made of: arrays on disk, blocks of them, their split."""
