variable "name" {
  type        = string
  description = "The beginning of every name that is made here."
}

variable "region" {
  type        = string
  description = "Where everything is made: the region of the Kubernetes cluster."
}

variable "deletion_protection" {
  type        = bool
  default     = true
  description = "Refuses to delete the database, and a bucket with backups in it. An undo that was told to remove data sets it to false first."
}
