"""Parts of training: optimizer, multi-step execution, mixup, class weights."""
