// SPDX-License-Identifier: Apache-2.0

/** KVM on x86, the kernel's part of a virtual machine monitor, as far as it decides about cache coherency. */
@org.jspecify.annotations.NullMarked
module org.iommu4j.kvm {
    requires transitive org.iommu4j;
    requires transitive org.iommu4j.vfio;
    requires static transitive org.jspecify;

    exports org.iommu4j.kvm;
}
