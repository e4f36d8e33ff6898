// SPDX-License-Identifier: Apache-2.0

/**
 * The simplest adapters of the platform's ports, what drivers make their tables of, and the one place that injects
 * failures.
 *
 * <p>{@link org.iommu4j.platform.support.FlatMemory} is memory without caches, {@link
 * org.iommu4j.platform.support.FramePool} hands out its frames, {@link org.iommu4j.platform.support.FirmwareBytes} is
 * firmware that is given as bytes, {@link org.iommu4j.platform.support.TableFrames} clears and chains frames for a
 * driver's tables, and {@link org.iommu4j.platform.support.FailNth} wraps all ports and makes the n-th call fail.
 */
package org.iommu4j.platform.support;
