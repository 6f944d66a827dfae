origin {
  mounts = ["secret/"]
  vault { 
    address = var.address
  }
}
