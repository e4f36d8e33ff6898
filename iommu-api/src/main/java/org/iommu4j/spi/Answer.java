// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.spi;

/** Yes, no, or not told by the input: never guessed. */
public enum Answer {
    /** Known to be so. */
    YES,
    /** Known not to be so. */
    NO,
    /** The input does not tell. */
    UNKNOWN;

    /** Makes a known answer. */
    public static Answer of(boolean value) {
        return value ? YES : NO;
    }
}
