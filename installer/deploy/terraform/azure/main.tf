# The values come from terraform.tfvars.json, which `nimbus enterprise deploy` writes. The subscription comes from
# ARM_SUBSCRIPTION_ID.
terraform {
  required_version = ">= 1.6"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }
}

provider "azurerm" {
  features {}
}
