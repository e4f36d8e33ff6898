// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.Objects;
import java.util.Set;
import org.iommu4j.platform.ProcessMemory;

/**
 * A process that calls iommufd: its memory, its user's account, and its capabilities.
 *
 * @param memory whose pages it maps
 * @param account what its user has locked
 * @param capabilities what it may do
 */
public record IommufdUser(ProcessMemory memory, UserAccount account, Set<Capability> capabilities) {
    /** The capabilities that iommufd asks for. */
    public enum Capability {
        /** CAP_IPC_LOCK: locked pages are not counted. */
        IPC_LOCK,
        /** CAP_SYS_RESOURCE: it may choose who is charged for locked pages. */
        SYS_RESOURCE,
        /** CAP_SYS_RAWIO: it may use devices without an IOMMU, and read physical addresses. */
        SYS_RAWIO
    }

    /** Copies the set. */
    public IommufdUser {
        Objects.requireNonNull(memory, "memory");
        Objects.requireNonNull(account, "account");
        capabilities = Set.copyOf(capabilities);
    }

    /** Returns the superuser with this memory. */
    public static IommufdUser root(ProcessMemory memory) {
        return new IommufdUser(memory, new UserAccount(Long.MAX_VALUE), Set.of(Capability.values()));
    }

    boolean may(Capability capability) {
        return capabilities.contains(capability);
    }
}
