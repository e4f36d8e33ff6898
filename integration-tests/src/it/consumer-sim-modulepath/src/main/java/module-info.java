// SPDX-License-Identifier: Apache-2.0

/** Names the silicon only: the vendor is found because it provides the contract. */
module com.example.simulation {
    requires org.iommu4j.sim;
}
