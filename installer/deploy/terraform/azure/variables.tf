variable "name" {
  type        = string
  description = "The beginning of every name that is made here."
}

variable "region" {
  type        = string
  description = "Where everything is made: the region of the Kubernetes cluster."
}

variable "resource_group" {
  type        = string
  description = "The resource group of the network; everything is made in it."
}
