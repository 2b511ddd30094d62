"""What the data modules of images stand on: reading and decoding files, bytes per pixel, batches, augmentation."""
