# Subnets of the database's own in the network of the Kubernetes cluster, without a way to the internet.
variable "network" {
  type        = string
  description = "The id of the VPC in which the nodes of the Kubernetes cluster are."
}

variable "cidr" {
  type        = string
  description = "A free range of that VPC for the database, /27 or larger; it is halved, for two zones."
}

variable "clients" {
  type        = string
  description = "The range from which pods of the control plane come: the only ones that may connect."
}

data "aws_availability_zones" "available" {
  state = "available"
}

resource "aws_subnet" "database" {
  count             = 2
  vpc_id            = var.network
  cidr_block        = cidrsubnet(var.cidr, 1, count.index)
  availability_zone = data.aws_availability_zones.available.names[count.index]
  tags              = { Name = "${var.name}-database-${count.index}" }
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "PostgreSQL of the Nimbus control plane"
  vpc_id      = var.network
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id = aws_security_group.database.id
  description       = "The control plane"
  cidr_ipv4         = var.clients
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
}
