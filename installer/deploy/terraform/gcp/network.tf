# A range for Google's service network, peered with the network of the Kubernetes cluster: the database has no other address.
variable "network" {
  type        = string
  description = "The name of the VPC network in which the nodes of the Kubernetes cluster are."
}

variable "cidr" {
  type        = string
  description = "A free range of that network for the database, /24 or larger."
}

data "google_compute_network" "cluster" {
  name = var.network
}

resource "google_compute_global_address" "database" {
  name          = "${var.name}-database"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = split("/", var.cidr)[0]
  prefix_length = tonumber(split("/", var.cidr)[1])
  network       = data.google_compute_network.cluster.id
}

resource "google_service_networking_connection" "database" {
  network                 = data.google_compute_network.cluster.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database.name]
}
