variable "data" {
  description = "The file that `mainstay apps generate-terraform-data BUNDLE` wrote"
  type        = string
}

variable "bundle_dir" {
  description = "The directory into which the bundle was unzipped"
  type        = string
}

variable "bucket" {
  description = "The bucket that Mattermost reads: MM_APPS_S3_BUCKET"
  type        = string
  default     = "mattermost-apps-bucket"
}

variable "timeout" {
  description = "How long a function may take, in seconds: Mattermost waits 30"
  type        = number
  default     = 30
}

variable "memory" {
  description = "How much memory a function gets, in MB"
  type        = number
  default     = 256
}

variable "environment" {
  description = "Variables of every function"
  type        = map(string)
  default     = {}
  sensitive   = true
}
