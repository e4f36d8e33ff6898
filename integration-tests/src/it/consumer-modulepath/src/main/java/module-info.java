// SPDX-License-Identifier: Apache-2.0

/** Names the contract only: the vendor is found because it provides it. */
module com.example.consumer {
    requires org.iommu4j;
}
