origin {
  mounts = ["secret/"
}
