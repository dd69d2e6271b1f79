# A subnet of the database's own in the network of the Kubernetes cluster; the database has no public address.
variable "network" {
  type        = string
  description = "The name of the virtual network in which the nodes of the Kubernetes cluster are."
}

variable "cidr" {
  type        = string
  description = "A free range of that network for the database, /28 or larger."
}

variable "clients" {
  type        = string
  description = "The range from which pods of the control plane come: the only ones that may connect."
}

data "azurerm_virtual_network" "cluster" {
  name                = var.network
  resource_group_name = var.resource_group
}

resource "azurerm_subnet" "database" {
  name                 = "${var.name}-database"
  resource_group_name  = var.resource_group
  virtual_network_name = data.azurerm_virtual_network.cluster.name
  address_prefixes     = [var.cidr]

  delegation {
    name = "postgresql"
    service_delegation {
      name    = "Microsoft.DBforPostgreSQL/flexibleServers"
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

resource "azurerm_network_security_group" "database" {
  name                = "${var.name}-database"
  location            = var.region
  resource_group_name = var.resource_group

  security_rule {
    name                       = "control-plane"
    priority                   = 100
    direction                  = "Inbound"
    access                     = "Allow"
    protocol                   = "Tcp"
    source_port_range          = "*"
    destination_port_range     = "5432"
    source_address_prefix      = var.clients
    destination_address_prefix = "*"
  }

  # The two servers of a highly available database speak with each other on the same port.
  security_rule {
    name                       = "standby"
    priority                   = 110
    direction                  = "Inbound"
    access                     = "Allow"
    protocol                   = "Tcp"
    source_port_range          = "*"
    destination_port_range     = "5432"
    source_address_prefix      = var.cidr
    destination_address_prefix = "*"
  }

  security_rule {
    name                       = "nobody-else"
    priority                   = 200
    direction                  = "Inbound"
    access                     = "Deny"
    protocol                   = "*"
    source_port_range          = "*"
    destination_port_range     = "5432"
    source_address_prefix      = "*"
    destination_address_prefix = "*"
  }
}

resource "azurerm_subnet_network_security_group_association" "database" {
  subnet_id                 = azurerm_subnet.database.id
  network_security_group_id = azurerm_network_security_group.database.id
}

resource "azurerm_private_dns_zone" "database" {
  name                = "${var.name}.private.postgres.database.azure.com"
  resource_group_name = var.resource_group
}

resource "azurerm_private_dns_zone_virtual_network_link" "database" {
  name                  = "${var.name}-database"
  resource_group_name   = var.resource_group
  private_dns_zone_name = azurerm_private_dns_zone.database.name
  virtual_network_id    = data.azurerm_virtual_network.cluster.id
}
