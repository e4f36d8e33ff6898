// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/**
 * An input, or a part of one.
 *
 * @param name for people: {@code sysfs}, {@code dmesg.txt}
 * @param rank how far it is believed
 */
record Source(String name, Rank rank) {
    @Override
    public String toString() {
        return name;
    }
}
