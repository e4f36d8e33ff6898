// SPDX-License-Identifier: Apache-2.0

/**
 * The notation in which manuals describe registers and structures in memory.
 *
 * <p>{@link org.iommu4j.bits.BitField} is a run of bits of a 64-bit word, {@link org.iommu4j.bits.SplitField} one whose
 * bits are scattered over several words, {@link org.iommu4j.bits.Layout} a structure that checks itself when it is
 * declared, {@link org.iommu4j.bits.Register} a layout at an offset with access modes. Drivers and silicon share this
 * notation and never a layout: a shared constant would hide a shared mistake.
 */
package org.iommu4j.bits;
