# PostgreSQL 16. The password is made here and is in the state: keep the state where you keep secrets. Azure has no
# deletion protection of a server; `tofu destroy` asks, and an undo runs it only when it is told to remove data.
resource "random_password" "database" {
  length  = 40
  special = false
}

# A server's name is one of all Azure's.
resource "random_id" "database" {
  byte_length = 4
}

resource "azurerm_postgresql_flexible_server" "database" {
  name                          = "${var.name}-${random_id.database.hex}"
  resource_group_name           = var.resource_group
  location                      = var.region
  version                       = "16"
  sku_name                      = "GP_Standard_D2ds_v5"
  storage_mb                    = 32768
  auto_grow_enabled             = true
  backup_retention_days         = 14
  administrator_login           = "nimbus"
  administrator_password        = random_password.database.result
  delegated_subnet_id           = azurerm_subnet.database.id
  private_dns_zone_id           = azurerm_private_dns_zone.database.id
  public_network_access_enabled = false
  depends_on                    = [azurerm_private_dns_zone_virtual_network_link.database]

  high_availability {
    mode = "ZoneRedundant"
  }

  lifecycle {
    # Azure chooses the zones, and exchanges them at a takeover.
    ignore_changes = [zone, high_availability[0].standby_availability_zone]
  }
}

resource "azurerm_postgresql_flexible_server_database" "nimbus" {
  name      = "nimbus"
  server_id = azurerm_postgresql_flexible_server.database.id
}

variable "database_tls" {
  type        = string
  default     = "sslmode=verify-full"
  description = "How the control plane connects to the database. Azure's authorities are public ones, which the control plane knows."
}

output "database_url" {
  description = "The address for the Secret of the control plane, with the password."
  value       = "postgres://nimbus:${random_password.database.result}@${azurerm_postgresql_flexible_server.database.fqdn}:5432/${azurerm_postgresql_flexible_server_database.nimbus.name}?${var.database_tls}"
  sensitive   = true
}
