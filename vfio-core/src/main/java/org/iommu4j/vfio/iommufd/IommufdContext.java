// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.Supplier;
import org.iommu4j.IommuException;
import org.iommu4j.core.IommuGroup;
import org.jspecify.annotations.Nullable;

/**
 * What an open iommufd holds. It lives until its file is closed and its last device, and container user, has left.
 *
 * <p>The table's monitor guards it. Source: {@code struct iommufd_ctx}.
 */
final class IommufdContext {
    final IommufdOptions options;
    final IommufdRules rules;
    final ObjectTable table = new ObjectTable();
    final HwptList hwpts = new HwptList();

    /** The tables of devices without an IOMMU. */
    final NoIommu noIommu;

    /** Who is charged for pages. */
    Accounting accounting;

    /** The IOAS of VFIO's calls, or null. */
    @Nullable
    Ioas compat;

    /** Whether a group without an IOMMU has entered as a container's: from then on no other can. */
    boolean withoutIommu;

    private final Map<IommuGroup, DeviceGroup> groups = new HashMap<>();
    private int references = 1;

    IommufdContext(IommufdOptions options, Accounting accounting) {
        Objects.requireNonNull(options, "options");
        this.options = options;
        this.rules = IommufdRules.of(options.release());
        this.accounting = accounting;
        this.noIommu = new NoIommu(options.release());
    }

    /** Returns this file's view of a group. */
    DeviceGroup group(IommuGroup group) {
        return groups.computeIfAbsent(group, each -> new DeviceGroup(new ClaimedGroup(each)));
    }

    /**
     * Calls with an object that can't be destroyed meanwhile, nor the file end. Source: {@code iommufd_get_object}.
     *
     * @param find finds the object, under the table's monitor
     * @throws IommuException as {@code find} and the call
     */
    <T extends IommufdObject, R> R using(Supplier<T> find, Function<T, R> call) {
        T object;
        synchronized (table) {
            object = find.get();
            object.users++;
            references++;
        }
        try {
            return call.apply(object);
        } finally {
            synchronized (table) {
                object.users--;
                release();
            }
        }
    }

    void hold() {
        synchronized (table) {
            references++;
        }
    }

    /**
     * Lets go; the last user frees everything.
     *
     * @throws RuntimeException as {@link ObjectTable#destroyAll}
     */
    void release() {
        synchronized (table) {
            if (--references == 0) {
                if (compat != null) {
                    compat = null;
                }
                table.destroyAll();
            }
        }
    }
}
