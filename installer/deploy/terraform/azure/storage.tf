# A private container with versions, for backups; Azure encrypts what is in it.
resource "random_id" "backups" {
  byte_length = 8
}

resource "azurerm_storage_account" "backups" {
  name                            = "nimbus${random_id.backups.hex}"
  resource_group_name             = var.resource_group
  location                        = var.region
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false

  blob_properties {
    versioning_enabled = true
  }
}

resource "azurerm_storage_container" "backups" {
  name                  = "backups"
  storage_account_id    = azurerm_storage_account.backups.id
  container_access_type = "private"
}

output "backups" {
  description = "Where backups go."
  value       = "${azurerm_storage_account.backups.primary_blob_endpoint}${azurerm_storage_container.backups.name}"
}
