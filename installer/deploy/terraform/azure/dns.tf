# The names of the load balancers. Their addresses are known once the control plane's Services have them; until then the
# two targets are empty and no record is made.
variable "dns_zone" {
  type        = string
  description = "The name of the DNS zone, for example ops.example.com; it is in the same resource group."
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

resource "azurerm_dns_a_record" "operators" {
  count               = var.operators_name != "" && var.operators_target != "" ? 1 : 0
  name                = trimsuffix(var.operators_name, ".${var.dns_zone}")
  zone_name           = var.dns_zone
  resource_group_name = var.resource_group
  ttl                 = 60
  records             = [var.operators_target]
}

resource "azurerm_dns_a_record" "agents" {
  count               = var.agents_name != "" && var.agents_target != "" ? 1 : 0
  name                = trimsuffix(var.agents_name, ".${var.dns_zone}")
  zone_name           = var.dns_zone
  resource_group_name = var.resource_group
  ttl                 = 60
  records             = [var.agents_target]
}
