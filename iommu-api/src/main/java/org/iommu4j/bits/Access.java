// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.bits;

/** What software's write does to a register's field. */
public enum Access {
    /** Software reads; writes change nothing. */
    READ_ONLY,
    /** Software reads and writes. */
    READ_WRITE,
    /** Writing 1 clears a bit that hardware set; writing 0 changes nothing. */
    WRITE_1_TO_CLEAR,
    /** A command: the write acts, and reading returns 0. */
    WRITE_ONLY,
    /** In the manual, not modelled: the value is kept and a write that changes it is logged. */
    NOT_MODELLED
}
