origin {
  mounts = ["secret/"]
  vault {
    address   = "http://127.0.0.1:1"
    tokenfile = "s.canary"
  }
}
