// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

/**
 * An input, or a part of one.
 *
 * @param name for people: {@code sysfs}, {@code dmesg.txt}
 * @param rank its precedence
 */
record Source(String name, Rank rank) {
    @Override
    public String toString() {
        return name;
    }
}
