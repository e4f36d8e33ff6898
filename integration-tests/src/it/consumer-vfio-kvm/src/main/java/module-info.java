// SPDX-License-Identifier: Apache-2.0

/** A program of somebody else. */
module com.example.vfio {
    requires org.iommu4j.sim;
    requires org.iommu4j.vfio;
    requires org.iommu4j.kvm;
}
