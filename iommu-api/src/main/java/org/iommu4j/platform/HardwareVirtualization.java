// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.platform;

/** The virtualization extension of a CPU, on which the memory type of guest memory depends. */
public enum HardwareVirtualization {
    /** Intel VT-x: extended page tables carry a memory type. */
    VMX,
    /** AMD-V: nested page tables carry none, the guest's own PAT applies. */
    SVM,
    /** Neither: another architecture, or turned off by firmware. KVM for x86 runs no guest there. */
    NONE
}
