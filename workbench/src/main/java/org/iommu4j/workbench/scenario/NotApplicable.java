// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.scenario;

/** Why a case can't show its story on a machine under a release, so that its run would be no answer. */
public enum NotApplicable {
    /** No domain blocks no-snoop: the release or the driver has no such control, or a unit can't. */
    NO_ENFORCEMENT,
    /** The case has a virtual machine, and the CPUs have neither VMX nor SVM. */
    NEEDS_KVM_X86,
    /** No driver, or no silicon, knows the machine's IOMMU. */
    NO_DRIVER,
    /** A driver that the machine needs is not built for the release. */
    RELEASE_NOT_BUILT,
    /** The release has no iommufd, or none with device files. */
    RELEASE_LACKS,
    /** The machine has no IOMMU in use, no endpoint behind one, or not the devices or CPUs that the case names. */
    MACHINE_LACKS
}
