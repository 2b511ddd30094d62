"""Parts of training: optimizer, multi-step execution, epoch monitor, mixup, class weights."""
