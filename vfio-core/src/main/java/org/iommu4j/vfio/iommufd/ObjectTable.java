// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.vfio.iommufd;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.iommu4j.Errno;
import org.iommu4j.IommuException;
import org.iommu4j.vfio.support.Failures;

/**
 * The objects of an open iommufd by their numbers; a new object gets the lowest free one.
 *
 * <p>Thread-safe; calls that make, attach or destroy objects hold its monitor. Source: {@code objects} of {@code struct
 * iommufd_ctx}, and {@code iommufd_object_remove}.
 */
final class ObjectTable {
    private final Map<Integer, IommufdObject> objects = new HashMap<>();
    private final BitSet taken = new BitSet();

    ObjectTable() {
        taken.set(0);
    }

    synchronized boolean isEmpty() {
        return objects.isEmpty();
    }

    /** Returns how many objects there are. */
    synchronized int size() {
        return objects.size();
    }

    /** Returns whether an object is there. */
    synchronized boolean has(IommufdObject object) {
        return objects.get(object.id) == object;
    }

    /** Adds an object, which gets its number. */
    synchronized <T extends IommufdObject> T add(T object) {
        object.id = taken.nextClearBit(1);
        taken.set(object.id);
        objects.put(object.id, object);
        return object;
    }

    /**
     * Returns an object of any kind.
     *
     * @throws IommuException ENOENT
     */
    synchronized IommufdObject get(int id) {
        IommufdObject object = objects.get(id);
        if (object == null) {
            throw new IommuException(Errno.ENOENT, "no object has the id " + Integer.toUnsignedString(id));
        }
        return object;
    }

    /**
     * Returns an object of a kind.
     *
     * @throws IommuException ENOENT, also when it is of another kind
     */
    <T extends IommufdObject> T get(int id, Class<T> type) {
        IommufdObject object = get(id);
        if (!type.isInstance(object)) {
            throw new IommuException(Errno.ENOENT, "object " + id + " is a " + object.kind());
        }
        return type.cast(object);
    }

    /**
     * Removes an object that nobody uses, and frees it.
     *
     * @throws IommuException ENOENT, EBUSY (it has users); and as {@link IommufdObject#destroy}: it is gone
     */
    synchronized void destroy(int id) {
        IommufdObject object = get(id);
        if (object.users > 0) {
            throw new IommuException(Errno.EBUSY, object + " has " + object.users + " users");
        }
        remove(object);
        object.destroy();
    }

    /** Returns all objects of a kind. */
    synchronized <T extends IommufdObject> List<T> all(Class<T> type) {
        List<T> all = new ArrayList<>();
        for (IommufdObject object : objects.values()) {
            if (type.isInstance(object)) {
                all.add(type.cast(object));
            }
        }
        return all;
    }

    /** Takes an object out, whoever uses it. */
    synchronized void remove(IommufdObject object) {
        if (objects.remove(object.id, object)) {
            taken.clear(object.id);
        }
    }

    /** Takes an object out without giving its number to another. Source: {@code iommufd_object_tombstone_user}. */
    synchronized void removeForGood(IommufdObject object) {
        objects.remove(object.id, object);
    }

    /**
     * Frees all objects, those first that nobody uses. Source: {@code iommufd_fops_release}.
     *
     * @throws RuntimeException the first failure; all are gone
     */
    synchronized void destroyAll() {
        RuntimeException first = null;
        boolean progress = true;
        while (progress && !objects.isEmpty()) {
            progress = false;
            List<IommufdObject> all = new ArrayList<>(objects.values());
            for (IommufdObject object : all) {
                if (object.users > 0) {
                    continue;
                }
                progress = true;
                remove(object);
                try {
                    object.destroy();
                } catch (RuntimeException failure) {
                    first = Failures.joined(first, failure);
                }
            }
        }
        if (!objects.isEmpty()) {
            throw new IllegalStateException("objects use one another in a circle: " + objects.values());
        }
        if (first != null) {
            throw first;
        }
    }
}
