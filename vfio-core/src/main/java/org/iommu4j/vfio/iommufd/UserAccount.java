// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import org.iommu4j.Errno;
import org.iommu4j.IommuException;

/**
 * The pages that all processes of one user have locked through iommufd.
 *
 * <p>Thread-safe. Source: {@code locked_vm} in {@code struct user_struct}.
 */
public final class UserAccount {
    private final long limit;
    private long charged;

    /**
     * Makes an account.
     *
     * @param limit RLIMIT_MEMLOCK of the user's processes, in pages of 4096 bytes, not negative
     */
    public UserAccount(long limit) {
        if (limit < 0) {
            throw new IllegalArgumentException("limit of " + limit + " pages, expected 0 or more");
        }
        this.limit = limit;
    }

    /** Returns how many pages are charged. */
    public synchronized long charged() {
        return charged;
    }

    /**
     * Charges pages.
     *
     * @throws IommuException ENOMEM when the limit would be exceeded; nothing is charged
     */
    synchronized void charge(long pages) {
        if (pages > limit - charged) {
            throw new IommuException(
                    Errno.ENOMEM, pages + " more locked pages exceed the user's limit: " + charged + " of " + limit);
        }
        charged += pages;
    }

    synchronized void uncharge(long pages) {
        if (pages > charged) {
            throw new IllegalStateException("uncharging " + pages + " of " + charged + " pages");
        }
        charged -= pages;
    }
}
