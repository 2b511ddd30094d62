"""Images: readers, decoding, pixel statistics, batches and augmentation."""
