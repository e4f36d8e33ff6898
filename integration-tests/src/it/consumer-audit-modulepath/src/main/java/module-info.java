// SPDX-License-Identifier: Apache-2.0

/** Names the audit only: the vendors are found because they provide the contract. */
module com.example.fleet {
    requires org.iommu4j.audit;
}
