// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.core;

import java.util.List;
import java.util.Set;
import org.iommu4j.AttachResult;
import org.iommu4j.Errno;
import org.iommu4j.Iommu;
import org.iommu4j.IommuDevice;
import org.iommu4j.IommuDomain;
import org.iommu4j.IommuException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Moves a group's devices from domain to domain: all or none, or out whatever fails.
 *
 * <p>The caller holds the group's lock. Source: {@code __iommu_group_set_domain_internal}, {@code
 * __iommu_device_set_domain}.
 */
final class GroupMoves {
    private static final Logger LOG = LoggerFactory.getLogger(GroupMoves.class);

    private final int id;
    private final List<IommuDevice> devices;

    GroupMoves(int id, List<IommuDevice> devices) {
        this.id = id;
        this.devices = devices;
    }

    /**
     * Attaches all devices, which are blocked, to their first domain.
     *
     * @throws IommuException EINVAL when a device does not fit the domain, and as {@link IommuDomain#attach}; devices
     *     that were moved are blocked again
     */
    void enter(IommuDomain first, String group) {
        int moved = 0;
        try {
            for (; moved < devices.size(); moved++) {
                AttachResult result = first.attach(devices.get(moved));
                if (!result.attached()) {
                    throw new IommuException(
                            Errno.EINVAL,
                            devices.get(moved).id() + " does not fit the default domain of " + group + ": "
                                    + result.reason());
                }
            }
        } catch (RuntimeException failure) {
            blockAll(first, moved, failure);
            throw failure;
        }
    }

    /**
     * Moves all devices or none. On failure {@link CoreRules#failedMove} says which devices are attached to the old
     * domain again. A device that is not, and was not moved either, stays where its driver left it: in the old
     * domain where the driver checks before it changes anything, else blocked ({@link Iommu#blocksBeforeAttach}).
     *
     * @param blocks whether the target lets no request through
     * @return attached; or incompatible, no device is in the target
     * @throws RuntimeException as {@link IommuDomain#attach}; no device is in the target
     */
    AttachResult moveAll(IommuDomain old, IommuDomain target, boolean blocks) {
        if (old == target) {
            return AttachResult.ATTACHED;
        }
        for (int i = 0; i < devices.size(); i++) {
            AttachResult result;
            try {
                result = attachOne(devices.get(i), target, blocks);
            } catch (RuntimeException failure) {
                moveBack(old, target, i, failure);
                throw failure;
            }
            if (!result.attached()) {
                IommuException failure = new IommuException(
                        Errno.EINVAL, devices.get(i).id() + " does not fit the domain: " + result.reason());
                moveBack(old, target, i, failure);
                if (failure.getSuppressed().length != 0) {
                    throw failure;
                }
                return result;
            }
        }
        return AttachResult.ATTACHED;
    }

    /**
     * Attaches one device; refuses to block one that must stay mapped one to one. Source: {@code
     * __iommu_device_set_domain}.
     */
    private static AttachResult attachOne(IommuDevice device, IommuDomain target, boolean blocks) {
        if (blocks
                && ReservedRegions.requireDirect(device)
                && CoreRules.of(device.iommu().release()).keepsDirectDevices()) {
            return AttachResult.incompatible("firmware demands a direct mapping for " + device.id());
        }
        return target.attach(device);
    }

    /** Returns devices to their old domain; one that can't return is blocked, never left in the refused target. */
    private void moveBack(IommuDomain old, IommuDomain target, int failed, RuntimeException failure) {
        int returning =
                switch (CoreRules.of(devices.get(failed).iommu().release()).failedMove()) {
                    case NOTHING_RETURNS -> 0;
                    case ALL_RETURN -> devices.size();
                    case TRIED_RETURN -> failed + 1;
                    case MOVED_RETURN -> failed;
                };
        for (int i = 0; i < returning; i++) {
            moveBack(old, target, devices.get(i), failure);
        }
        for (int i = returning; i < failed; i++) {
            block(devices.get(i), target, failure);
        }
    }

    private void moveBack(IommuDomain old, IommuDomain target, IommuDevice device, RuntimeException failure) {
        try {
            AttachResult result = old.attach(device);
            if (result.attached()) {
                return;
            }
            failure.addSuppressed(
                    new IommuException(Errno.EINVAL, device.id() + " does not fit its old domain: " + result.reason()));
        } catch (RuntimeException second) {
            failure.addSuppressed(second);
        }
        LOG.error("{} of group {} can't return to its old domain and is blocked", device.id(), id);
        block(device, target, failure);
    }

    /**
     * Moves all devices out of a domain; this can't be refused. A device that can't be moved is blocked, and the others
     * are still moved.
     *
     * @param blocks whether the target lets no request through
     * @param left devices that stay where they are
     * @throws RuntimeException the first failure; those of other devices are suppressed in it
     */
    void moveAllWhateverHappens(IommuDomain old, IommuDomain target, boolean blocks, Set<IommuDevice> left) {
        if (old == target) {
            return;
        }
        RuntimeException first = null;
        for (IommuDevice device : devices) {
            if (left.contains(device)) {
                continue;
            }
            RuntimeException failure;
            try {
                AttachResult result = attachOne(device, target, blocks);
                if (result.attached()) {
                    continue;
                }
                failure =
                        new IommuException(Errno.EINVAL, device.id() + " does not fit the domain: " + result.reason());
            } catch (RuntimeException thrown) {
                failure = thrown;
            }
            LOG.error("{} of group {} can't be moved and is blocked", device.id(), id);
            block(device, old, failure);
            if (first == null) {
                first = failure;
            } else {
                first.addSuppressed(failure);
            }
        }
        if (first != null) {
            throw first;
        }
    }

    private void blockAll(IommuDomain from, int count, RuntimeException failure) {
        for (int i = 0; i < count; i++) {
            block(devices.get(i), from, failure);
        }
    }

    private static void block(IommuDevice device, IommuDomain from, RuntimeException failure) {
        try {
            from.detach(device);
        } catch (IommuException thrown) {
            if (!isNotThere(thrown)) {
                failure.addSuppressed(thrown);
            }
        }
    }

    /**
     * Takes all devices out of their last domain, whatever fails.
     *
     * @return the earlier failure, or the first of these devices
     */
    @Nullable
    RuntimeException leave(IommuDomain last, @Nullable RuntimeException earlier) {
        RuntimeException failure = earlier;
        for (IommuDevice device : devices) {
            try {
                last.detach(device);
            } catch (RuntimeException thrown) {
                // A device that an earlier call could not move is blocked already.
                failure = isNotThere(thrown) ? failure : joined(failure, thrown);
            }
        }
        return failure;
    }

    /** Adds a failure to an earlier one, and returns the one to throw. */
    static RuntimeException joined(@Nullable RuntimeException earlier, RuntimeException failure) {
        if (earlier == null) {
            return failure;
        }
        earlier.addSuppressed(failure);
        return earlier;
    }

    private static boolean isNotThere(RuntimeException failure) {
        return failure instanceof IommuException refusal && refusal.errno() == Errno.EINVAL;
    }
}
