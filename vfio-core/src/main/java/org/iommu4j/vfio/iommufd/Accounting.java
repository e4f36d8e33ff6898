// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.platform.ProcessMemory;

/** Who is charged for the pages that an IOAS pins. Source: {@code IOPT_PAGES_ACCOUNT_*}. */
enum Accounting {
    /** Nobody: the process that mapped has CAP_IPC_LOCK. */
    NONE {
        @Override
        void charge(IommufdUser user, long pages) {}

        @Override
        void uncharge(IommufdUser user, long pages) {}
    },
    /** The user, for all processes together. */
    USER {
        @Override
        void charge(IommufdUser user, long pages) {
            user.account().charge(pages);
        }

        @Override
        void uncharge(IommufdUser user, long pages) {
            user.account().uncharge(pages);
        }
    },
    /** The process alone, as type 1 does. */
    PROCESS {
        @Override
        void charge(IommufdUser user, long pages) {
            ProcessMemory memory = user.memory();
            memory.charge(pages);
        }

        @Override
        void uncharge(IommufdUser user, long pages) {
            user.memory().uncharge(pages);
        }
    };

    /**
     * Charges pages.
     *
     * @throws org.iommu4j.IommuException ENOMEM; nothing is charged
     */
    abstract void charge(IommufdUser user, long pages);

    abstract void uncharge(IommufdUser user, long pages);

    /**
     * Returns who is charged for pages that a process maps now: nobody where it has CAP_IPC_LOCK, whatever the file's
     * option says. Source: {@code iopt_alloc_pages}.
     */
    Accounting of(IommufdUser user) {
        return user.may(IommufdUser.Capability.IPC_LOCK) ? NONE : this;
    }
}
