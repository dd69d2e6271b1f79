# The names of the load balancers. Their addresses are known once the control plane's Services have them; until then the
# two targets are empty and no record is made.
variable "dns_zone" {
  type        = string
  description = "The name of the managed zone in Cloud DNS (not its DNS name)."
}

variable "operators_name" {
  type        = string
  description = "The DNS name by which operators call the control plane; empty: none."
}

variable "agents_name" {
  type        = string
  description = "The DNS name by which agents call the control plane; empty: none."
}

variable "operators_target" {
  type    = string
  default = ""
}

variable "agents_target" {
  type    = string
  default = ""
}

data "google_dns_managed_zone" "names" {
  name = var.dns_zone
}

resource "google_dns_record_set" "operators" {
  count        = var.operators_name != "" && var.operators_target != "" ? 1 : 0
  managed_zone = data.google_dns_managed_zone.names.name
  name         = "${var.operators_name}."
  type         = "A"
  ttl          = 60
  rrdatas      = [var.operators_target]
}

resource "google_dns_record_set" "agents" {
  count        = var.agents_name != "" && var.agents_target != "" ? 1 : 0
  managed_zone = data.google_dns_managed_zone.names.name
  name         = "${var.agents_name}."
  type         = "A"
  ttl          = 60
  rrdatas      = [var.agents_target]
}
